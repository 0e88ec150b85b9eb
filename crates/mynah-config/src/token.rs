//! The token of the admin API, in a file of its own.

use std::fs;
use std::path::Path;

/// Fewer characters could be guessed.
const LEAST: usize = 16;

/// Reads it; the error says what is wrong with the file.
pub fn read(file: &Path) -> Result<String, String> {
    let name = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read '{name}': {error}; expected a token"))?;
    let token = text.trim();
    let valid = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if token.len() < LEAST || !token.bytes().all(valid) {
        // Never the token itself.
        return Err(format!(
            "'{name}' holds no token; expected at least {LEAST} letters, digits or -._~+/= (RFC 6750)"
        ));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_from_what_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        assert!(read(&file).unwrap_err().contains("cannot read"));
        for wrong in ["", "short", "has spaces in it, many", "0123456789abcde"] {
            fs::write(&file, wrong).unwrap();
            let error = read(&file).unwrap_err();
            assert!(
                error.contains("at least 16") && (wrong.is_empty() || !error.contains(wrong)),
                "{error}"
            );
        }
        fs::write(&file, "0123456789abcdef\n").unwrap();
        assert_eq!(read(&file).unwrap(), "0123456789abcdef");
    }
}
