//! Damaged pictures without end, for `FLOWLINE_FUZZ_SECONDS` (2 if not given): no record stops its reader.

#[path = "../../model/tests/fuzz/mutation.rs"]
mod mutation;
mod sample;

use mutation::fuzz;
use sample::file::{chunks_of, packed, png, png_with_text, read, written};
use sample::request;

#[test]
fn no_record_stops_the_reader() {
    let foreign = [
        ("parameters", "a boat\nNegative prompt: fog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x32"),
        (
            "prompt",
            r#"{"3":{"class_type":"KSampler","inputs":{"seed":5,"steps":20,"cfg":7.5,"sampler_name":"euler"}}}"#,
        ),
        ("invokeai_metadata", r#"{"positive_prompt":"a boat","seed":5,"steps":20,"width":64,"height":32}"#),
        (
            "workflow",
            r#"{"nodes":[{"id":3,"type":"KSampler","widgets_values":[5,"fixed",20]}],"links":[[1,4,0,3,0,"M"]]}"#,
        ),
        (
            "XML:com.adobe.xmp",
            r#"<x xmp:CreatorTool="Draw Things"><exif:UserComment><rdf:li>{"c":"&#97; boat"}</rdf:li></exif:UserComment>"#,
        ),
    ];
    let ours = written(&request("a boat, naïve 猫"));
    let mut good: Vec<Vec<u8>> = foreign.iter().map(|(keyword, text)| png_with_text(keyword, text)).collect();
    good.push(png(&[(b"zTXt", &[b"parameters\0\0", &packed(foreign[0].1.as_bytes())[..]].concat())]));
    let comment = b"MM\0*\0\0\0\x08\0\x01\x92\x86\0\x07\0\0\0\x0a\0\0\0\x1a\0\0\0\0UNICODE\0\0{";
    good.push(png(&[(b"eXIf", comment)]));
    good.push(ours);
    for good in &good {
        read(good).unwrap();
    }
    let texts: Vec<Vec<u8>> = good.iter().flat_map(|file| chunks_of(file)).map(|(_, data)| data).collect();
    let kinds: [&[u8; 4]; 4] = [b"tEXt", b"zTXt", b"iTXt", b"eXIf"];
    let mut turn = 0usize;
    fuzz("PNG", &[good, texts].concat(), |input| {
        let _ = read(input);
        // Damage behind a right checksum.
        turn += 1;
        let _ = read(&png(&[(kinds[turn % kinds.len()], input)]));
    });
}
