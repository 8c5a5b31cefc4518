//! The query of `api/v1/metas`: which lines of a catalog are wanted.
//!
//! Rules: specification of catalogd, 11.6. All parameters are optional and have to hold together;
//! values are compared as they are. Only the first value of a repeated parameter counts, and an
//! empty value is as good as none.

/// What the lines have to be of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    schema: Option<String>,
    package: Option<String>,
    name: Option<String>,
}

/// The query has a parameter that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownParameter;

impl Query {
    /// Reads the query of an address.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, UnknownParameter> {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            let field = match name.as_ref() {
                "schema" => &mut query.schema,
                "package" => &mut query.package,
                "name" => &mut query.name,
                _ => return Err(UnknownParameter),
            };
            field.get_or_insert_with(|| value.into_owned());
        }
        Ok(query)
    }

    /// The schema that is asked for.
    pub(crate) fn schema(&self) -> Option<&str> {
        effective(self.schema.as_deref())
    }

    /// The package that is asked for.
    pub(crate) fn package(&self) -> Option<&str> {
        effective(self.package.as_deref())
    }

    /// The name that is asked for.
    pub(crate) fn name(&self) -> Option<&str> {
        effective(self.name.as_deref())
    }

    /// Whether everything is wanted.
    pub(crate) fn is_all(&self) -> bool {
        [self.schema(), self.package(), self.name()] == [None; 3]
    }
}

fn effective(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none(None, [None; 3])]
    #[case::empty(Some(""), [None; 3])]
    #[case::schema(Some("schema=olm.bundle"), [Some("olm.bundle"), None, None])]
    #[case::all_three(
        Some("name=foo.v1&schema=olm.bundle&package=foo"),
        [Some("olm.bundle"), Some("foo"), Some("foo.v1")]
    )]
    #[case::first_of_several(
        Some("schema=olm.package&schema=olm.bundle"),
        [Some("olm.package"), None, None]
    )]
    #[case::first_is_empty(Some("package=&package=foo"), [None; 3])]
    #[case::escapes(Some("name=a%26b+c&"), [None, None, Some("a&b c")])]
    #[case::without_value(Some("schema&name=x"), [None, None, Some("x")])]
    fn reads_what_is_wanted(#[case] text: Option<&str>, #[case] wanted: [Option<&str>; 3]) {
        let query = Query::parse(text);
        let read = query
            .as_ref()
            .map(|query| [query.schema(), query.package(), query.name()]);
        assert_eq!(read, Ok(wanted));
        assert_eq!(query.map(|query| query.is_all()), Ok(wanted == [None; 3]));
    }

    #[rstest]
    #[case("unknown=1")]
    #[case("schema=olm.bundle&Name=x")]
    #[case("=x")]
    fn refuses_parameters_that_do_not_exist(#[case] text: &str) {
        assert_eq!(Query::parse(Some(text)), Err(UnknownParameter));
    }
}
