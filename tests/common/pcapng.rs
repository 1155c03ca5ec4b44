//! A small reader of pcapng that trusts nothing: what tests and the fuzz target check exports with.

#![allow(dead_code)] // each user needs its own part

/// A packet, with what its interface says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) interface: String,
    pub(crate) description: String,
    pub(crate) link: u16,
    pub(crate) nanos: u64,
    pub(crate) data: Vec<u8>,
    pub(crate) original: u32,
    pub(crate) flags: u32,
    pub(crate) id: Option<u64>,
    pub(crate) comment: String,
}

/// The packets of a file, or what is wrong with it.
pub(crate) fn packets(mut file: &[u8]) -> Result<Vec<Packet>, String> {
    let (mut interfaces, mut packets) = (Vec::new(), Vec::new());
    let mut first = true;
    while !file.is_empty() {
        let (kind, body) = block(&mut file)?;
        if first != (kind == 0x0A0D_0D0A) {
            return Err("one section header, first".into());
        }
        first = false;
        match kind {
            0x0A0D_0D0A => {
                let magic = u32_at(body, 0)?;
                if magic != 0x1A2B_3C4D {
                    return Err(format!("magic {magic:#x}"));
                }
                options(tail(body, 16)?)?;
            }
            1 => {
                let options = options(tail(body, 8)?)?;
                if !options.contains(&(9, vec![9])) {
                    return Err("times are not in nanoseconds".into());
                }
                interfaces.push((u16_at(body, 0)?, options));
            }
            6 => packets.push(packet(body, &interfaces)?),
            kind => return Err(format!("block type {kind}")),
        }
    }
    Ok(packets)
}

type Options = Vec<(u16, Vec<u8>)>;

fn packet(body: &[u8], interfaces: &[(u16, Options)]) -> Result<Packet, String> {
    let number = u32_at(body, 0)? as usize;
    let (link, of_interface) = interfaces.get(number).ok_or("an interface before its block")?;
    let (high, low) = (u64::from(u32_at(body, 4)?), u64::from(u32_at(body, 8)?));
    let (captured, original) = (u32_at(body, 12)? as usize, u32_at(body, 16)?);
    let data = body.get(20..20 + captured).ok_or("a packet behind its block")?.to_vec();
    let options = options(tail(body, 20 + captured.next_multiple_of(4))?)?;
    Ok(Packet {
        interface: text(of_interface, 2)?,
        description: text(of_interface, 3)?,
        link: *link,
        nanos: high << 32 | low,
        data,
        original,
        flags: get(&options, 2).map_or(Ok(0), |value| u32_at(value, 0))?,
        id: match get(&options, 5) {
            Some(id) => Some(u64::from(u32_at(id, 4)?) << 32 | u64::from(u32_at(id, 0)?)),
            None => None,
        },
        comment: text(&options, 1)?,
    })
}

/// Type and body of the first block.
fn block<'f>(file: &mut &'f [u8]) -> Result<(u32, &'f [u8]), String> {
    let length = u32_at(file, 4)? as usize;
    if length < 12 || length % 4 != 0 || length > file.len() {
        return Err(format!("block length {length} of {}", file.len()));
    }
    let (block, rest) = file.split_at(length);
    if u32_at(block, length - 4)? as usize != length {
        return Err("the lengths of a block differ".into());
    }
    *file = rest;
    Ok((u32_at(block, 0)?, &block[8..length - 4]))
}

fn options(mut bytes: &[u8]) -> Result<Options, String> {
    let mut found = Options::new();
    loop {
        let (code, length) = (u16_at(bytes, 0)?, usize::from(u16_at(bytes, 2)?));
        bytes = tail(bytes, 4)?;
        if code == 0 {
            let ends = length == 0 && bytes.is_empty();
            return if ends { Ok(found) } else { Err("options do not end the block".into()) };
        }
        let value = bytes.get(..length).ok_or("an option behind its block")?;
        found.push((code, value.to_vec()));
        bytes = tail(bytes, length.next_multiple_of(4))?;
    }
}

fn get(options: &Options, code: u16) -> Option<&[u8]> {
    options.iter().find(|(own, _)| *own == code).map(|(_, value)| &**value)
}

/// UTF-8 that steers nothing.
fn text(options: &Options, code: u16) -> Result<String, String> {
    let value = get(options, code).unwrap_or_default();
    let text = std::str::from_utf8(value).map_err(|error| error.to_string())?;
    if text.chars().any(char::is_control) {
        return Err(format!("controls in {text:?}"));
    }
    Ok(text.to_owned())
}

fn tail(bytes: &[u8], at: usize) -> Result<&[u8], String> {
    bytes.get(at..).ok_or_else(|| format!("ends before byte {at}"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    let word = bytes.get(at..at + 2).and_then(|word| word.try_into().ok());
    word.map(u16::from_le_bytes).ok_or_else(|| format!("ends before byte {}", at + 2))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map(u32::from_le_bytes).ok_or_else(|| format!("ends before byte {}", at + 4))
}
