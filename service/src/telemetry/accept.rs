//! The weights of media types in `Accept`.

/// Returns the weight of a media type that `Accept` names, in thousandths; 0 if it does not.
#[must_use]
pub fn weight(accept: &str, media_type: &str) -> u16 {
    let weights = accept.split(',').filter_map(|part| {
        let mut parameters = part.split(';').map(str::trim);
        let named = parameters.next().is_some_and(|named| named.eq_ignore_ascii_case(media_type));
        let weight = parameters.find_map(|parameter| parameter.strip_prefix("q="));
        named.then(|| weight.map_or(1000, |weight| thousandths(weight).unwrap_or(0)))
    });
    weights.max().unwrap_or(0)
}

/// Reads a weight such as `0.9`.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = format!("{fraction:0<3}");
    let value = whole.parse::<u16>().ok()?.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    Some(value).filter(|value| *value <= 1000 && digits.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_has_the_weight_that_its_client_gives_it() {
        let accept = "text/html, application/json;q=0.95;v=1, */*;q=0.1, text/css;q=2, text/plain;q=x";
        for (media_type, expected) in
            [("text/html", 1000), ("application/json", 950), ("text/css", 0), ("text/plain", 0), ("a/b", 0)]
        {
            assert_eq!(weight(accept, media_type), expected, "{media_type}");
        }
    }
}
