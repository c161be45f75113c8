//! Prints bencode in a readable form, with the place of each value. `pretty [FILE]`; without a file, a sample.

use downpour_bencode::{DecodeOptions, Dict, Kind, Limits, Value};

const SAMPLE: &[u8] = b"d8:announce16:http://tracker/a4:infod6:lengthi42e4:name5:a.txte5:nodesl3:abci-7eee";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let input = match std::env::args_os().nth(1) {
        #[expect(clippy::disallowed_methods, reason = "an example reads what the user names")]
        Some(file) => std::fs::read(file)?,
        None => SAMPLE.to_vec(),
    };
    let document = DecodeOptions::lenient(Limits::TORRENT).decode(&input)?;
    print(document.root(), 0);
    Ok(())
}

fn print(value: Value<'_, '_>, depth: usize) {
    let span = value.span();
    match value.kind() {
        Kind::Int | Kind::Bytes if value.raw().len() > 60 => {
            println!("<{} bytes>  @{span:?}", value.raw().len())
        }
        Kind::Int | Kind::Bytes => println!("{value:?}  @{span:?}"),
        Kind::List => {
            println!("list  @{span:?}");
            for item in value.as_list().into_iter().flatten() {
                print!("{:depth$}  - ", "");
                print(item, depth + 2);
            }
        }
        Kind::Dict => {
            println!("dict  @{span:?}");
            for (key, value) in value.as_dict().into_iter().flat_map(Dict::iter) {
                print!("{:depth$}  {}: ", "", key.escape_ascii());
                print(value, depth + 2);
            }
        }
    }
}
