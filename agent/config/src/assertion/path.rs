//! JSON paths whose evaluation takes time in proportion to the body.
//!
//! A probe judges bodies that it does not trust, within a deadline. A path that looks at every value for every value would
//! take hours on a body of some megabytes.

use serde_json_path::JsonPath;

/// Parses a path. The error has a message and advice.
pub(crate) fn parse_path(text: &str) -> Result<JsonPath, (String, &'static str)> {
    let path = JsonPath::parse(text).map_err(|error| {
        let help = "write it as in RFC 9535, like `$.status` or `$.checks[0].ok`";
        (format!("not a JSON path: {error}"), help)
    })?;
    let plain = without_strings(text);
    if plain.matches("..").count() > 1 {
        let help = "name the members on the way to the value, so that `..` stands there once at most";
        return Err((
            "a JSON path that would take too long on a large body: it has `..` twice".to_owned(),
            help,
        ));
    }
    // a filter is evaluated for each value; from its own `$` it must lead to one value
    let inner = plain.char_indices().filter(|(_, sign)| *sign == '$').nth(1);
    let rest = inner.and_then(|(at, _)| plain.get(at..)).unwrap_or_default();
    if rest.contains(['*', ':']) || rest.contains("..") {
        let help = "use `$` in a filter with names and indexes only, like `$.limit`";
        let message =
            "a JSON path that would take too long on a large body: its filter looks at many values of `$`";
        return Err((message.to_owned(), help));
    }
    Ok(path)
}

/// Returns the path without its quoted names and texts.
fn without_strings(text: &str) -> String {
    let (mut plain, mut quote, mut escaped) = (String::new(), None, false);
    for sign in text.chars() {
        match quote {
            None if matches!(sign, '\'' | '"') => quote = Some(sign),
            None => plain.push(sign),
            Some(_) if escaped => escaped = false,
            Some(_) if sign == '\\' => escaped = true,
            Some(open) if open == sign => quote = None,
            Some(_) => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_take_time_in_proportion_to_the_body_are_taken() {
        for text in [
            "$",
            "$.status",
            "$..status",
            "$.checks[?@.ok == true].name",
            "$.*[?count(@.*) > 1]",
            "$.items[?@.n > $.limits[0].n]",
            "$['a..b']..c",
            "$[\"it's ..\"]['..\\'..']",
        ] {
            assert!(parse_path(text).is_ok(), "{text}: {:?}", parse_path(text).map(drop));
        }
    }

    #[test]
    fn paths_that_look_at_every_value_for_every_value_are_refused() {
        for (text, part) in [
            ("$..a..b", "`..` twice"),
            ("$..[?@..a]", "`..` twice"),
            ("$.*[?count($.*) > 1]", "many values of `$`"),
            ("$.a[?count($..b) > 1]", "many values of `$`"),
            ("$.a[?count($.b[0:9]) > 1]", "many values of `$`"),
            ("status", "not a JSON path: "),
        ] {
            let (message, help) = parse_path(text).unwrap_err();
            assert!(message.contains(part) && !help.is_empty(), "{text}: {message}");
        }
    }
}
