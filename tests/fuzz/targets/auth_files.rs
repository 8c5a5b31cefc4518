//! Registry credentials in both forms, asked for any image.
#![no_main]

use libfuzzer_sys::fuzz_target;
use olm_registry::Reference;
use olm_registry::auth::AuthFile;

fuzz_target!(|data: &[u8]| {
    let reference = Reference::parse("registry.example.com:5000/a/b/c:tag").expect("a reference");
    let files = [
        AuthFile::from_docker_config_json(data),
        AuthFile::from_dockercfg(data),
    ];
    for file in files.into_iter().flatten() {
        let _ = (file.credentials(&reference), file.is_empty());
    }
});
