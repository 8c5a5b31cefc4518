//! What is printed.
#![expect(clippy::print_stderr, reason = "a command that people run")]

use std::fmt::Write as _;
use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;

use crate::args::Form;
use crate::failure::Failure;

/// The standard output, buffered.
pub(crate) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// Says something that is no data.
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// One row of a table.
pub(crate) trait Row: Serialize {
    /// The names of the columns.
    const COLUMNS: &'static [&'static str];
    /// The cells.
    fn cells(&self) -> Vec<String>;
}

/// Prints rows: columns two blanks apart, or a list.
pub(crate) fn rows<R: Row>(rows: &[R], form: Form, out: &mut dyn Write) -> Result<(), Failure> {
    match form {
        Form::Table => {
            let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
            table(R::COLUMNS, &cells, out)?;
        }
        form => value(&rows, form, out)?,
    }
    out.flush()?;
    Ok(())
}

/// Prints a value as JSON or YAML.
pub(crate) fn value<T: Serialize>(
    value: &T,
    form: Form,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    if form == Form::Yaml {
        bytes = olm_yaml::to_string(value)?.into_bytes();
    } else {
        olm_fbc::write::pretty(value, &mut bytes)?;
        bytes.push(b'\n');
    }
    out.write_all(&bytes)?;
    Ok(())
}

fn table(columns: &[&str], rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let heading: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    let mut widths = vec![0; columns.len()];
    for row in rows.iter().chain([&heading]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in [&heading].into_iter().chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let cell: String = cell.chars().map(printable).collect();
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Foreign text must not move the cursor of a terminal.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}
