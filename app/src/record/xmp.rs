//! Properties of an XMP packet (ISO 16684-1), as far as records need them: a text by the property's name.

/// The keyword of the chunk that holds a packet.
pub(super) const KEYWORD: &str = "XML:com.adobe.xmp";

/// The text of the property that is written `name` (`exif:UserComment`), an element or an attribute. Of alternatives in
/// several languages the first counts.
pub(super) fn property(packet: &str, name: &str) -> Option<String> {
    element(packet, name).or_else(|| attribute(packet, name)).map(|text| unescaped(&text))
}

/// What stands between `<name ...>` and `</name>`, without the tags of lists inside it.
fn element(packet: &str, name: &str) -> Option<String> {
    let begin = packet.match_indices('<').find_map(|(at, _)| {
        let rest = packet.get(at + 1..)?.strip_prefix(name)?;
        rest.starts_with(['>', ' ', '\t', '\r', '\n']).then_some(packet.len() - rest.len())
    })?;
    let (_, inside) = packet.get(begin..)?.split_once('>')?;
    let (inside, _) = inside.split_once(&format!("</{name}>"))?;
    let item = inside.split_once("<rdf:li").and_then(|(_, item)| item.split_once('>'));
    let text = match item {
        Some((_, item)) => item.split_once("</rdf:li>").map_or(item, |(text, _)| text),
        None => inside,
    };
    Some(text.trim().to_owned())
}

fn attribute(packet: &str, name: &str) -> Option<String> {
    let (_, rest) = packet.split_once(&format!(" {name}="))?;
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (value, _) = rest.get(1..)?.split_once(quote)?;
    Some(value.to_owned())
}

/// The characters that XML writes as entities.
fn unescaped(text: &str) -> String {
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        match after.split_once(';').and_then(|(name, after)| Some((entity(name)?, after))) {
            Some((character, after)) => {
                plain.push(character);
                rest = after;
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix('x') {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => digits.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}
