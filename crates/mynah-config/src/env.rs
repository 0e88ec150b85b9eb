//! Environment variables in keys and values: `${NAME}`, `${NAME:-default}`, and `$${` for a literal `${`.

/// Puts variables in. What is put in is never looked at again.
pub(crate) fn substitute(text: &str, variable: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let end = after
            .find('}')
            .ok_or_else(|| "'${' without '}'; expected ${NAME}, or $${ for a literal ${".to_owned())?;
        out.push_str(&value(&after[..end], variable)?);
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Writes a text so that [`substitute`] leaves it as it is.
pub(crate) fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

fn value(inner: &str, variable: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let mut bytes = name.bytes();
    let valid = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !valid {
        return Err(format!(
            "'${{{inner}}}' names no environment variable; expected ${{NAME}} or ${{NAME:-default}}"
        ));
    }
    match (variable(name), default) {
        // As in a shell, `:-` also stands in for an empty variable.
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!(
            "environment variable {name} is not set; ${{{name}:-default}} gives it a default"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_in(text: &str) -> Result<String, String> {
        substitute(text, &|name| match name {
            "POD" => Some("web-1".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("${POD}".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn variables_and_defaults_are_put_in() {
        assert_eq!(put_in("a ${POD} b ${POD}").unwrap(), "a web-1 b web-1");
        assert_eq!(put_in("${NONE:-x:-y}").unwrap(), "x:-y");
        assert_eq!(put_in("${EMPTY:-x}").unwrap(), "x");
        assert_eq!(put_in("[${EMPTY}]").unwrap(), "[]");
        assert_eq!(put_in("no variable, $5 and }").unwrap(), "no variable, $5 and }");
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        assert_eq!(put_in("${TRICKY}").unwrap(), "${POD}");
    }

    #[test]
    fn a_doubled_dollar_is_literal() {
        assert_eq!(put_in("$${POD}").unwrap(), "${POD}");
    }

    #[test]
    fn what_is_escaped_reads_back() {
        for text in ["${POD}", "$${POD}", "$$", "${", "a$${${b}"] {
            assert_eq!(put_in(&escape(text)).unwrap(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(put_in("${NONE}").unwrap_err().contains("NONE is not set"));
        assert!(put_in("${POD").unwrap_err().contains("without '}'"));
        assert!(put_in("${1}").unwrap_err().contains("'${1}'"));
        assert!(put_in("${}").is_err());
    }
}
