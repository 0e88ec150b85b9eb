//! What must hold for any configuration file, for the property tests here and the targets in `fuzz/` alike.

use std::path::Path;

use mynah_config::{effective_text, parse};

/// Reads a text as a configuration file; whether it is one.
///
/// It is refused with errors that each stand on one line, have a place in the file and say something; or what is printed
/// of it is read as the same model, and printed as the same text.
///
/// # Panics
/// If that does not hold.
pub(crate) fn check_text(text: &str) -> bool {
    let name = Path::new("mynah.yaml");
    let config = match parse(text, name) {
        Ok(config) => config,
        Err(errors) => {
            // A carriage return alone ends a line as well (YAML 1.2.2 §5.4).
            let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count() as u64;
            let mut count = 0;
            for error in errors.iter() {
                count += 1;
                let shown = error.to_string();
                assert!(!error.message().is_empty(), "{error:?}");
                assert!(!shown.contains(char::is_control), "{shown:?}");
                assert!(shown.len() < 4096, "{} bytes: {shown}", shown.len());
                if let Some((line, column)) = error.place() {
                    assert!((1..=lines).contains(&line) && column >= 1, "{shown} of {lines} lines");
                }
            }
            assert!(count > 0, "refused without an error");
            assert!(
                effective_text(text, name).is_err(),
                "what is refused is not printed either"
            );
            return false;
        }
    };
    let printed = effective_text(text, name).expect("what is read can be printed");
    let again = parse(&printed, name).unwrap_or_else(|errors| panic!("printed:\n{printed}\nbut: {errors}"));
    assert_eq!(again, config, "printed:\n{printed}");
    let twice = effective_text(&printed, name).expect("what is read can be printed");
    assert_eq!(twice, printed);
    true
}
