//! gzip and zstd, counted while they stream, so that a bomb is seen before it is in memory.

use std::io::{Read, Write};

use super::{ContentEncoding, IngestLimits, ReadError};

/// Below this size the ratio says nothing: a short file of equal rows packs very well.
const RATIO_COUNTS_PAST: usize = 1 << 20;
const CHUNK: usize = 64 << 10;

/// Unpacks a body.
///
/// # Errors
/// `body_too_large`, `inflated_too_large`, `inflate_ratio` over a cap; `corrupt_body` when the packing is broken.
pub fn inflate(bytes: Vec<u8>, encoding: ContentEncoding, limits: &IngestLimits) -> Result<Vec<u8>, ReadError> {
    if bytes.len() > limits.max_body_bytes {
        return Err(ReadError::OverLimit { code: "body_too_large", what: "bytes", max: limits.max_body_bytes });
    }
    match encoding.of(&bytes) {
        ContentEncoding::Identity | ContentEncoding::Unsaid if bytes.len() > limits.max_inflated_bytes => {
            Err(too_large(limits))
        }
        ContentEncoding::Identity | ContentEncoding::Unsaid => Ok(bytes),
        ContentEncoding::Gzip => {
            counted(flate2::read::MultiGzDecoder::new(bytes.as_slice()), bytes.len(), "gzip", limits)
        }
        ContentEncoding::Zstd => {
            let decoder = zstd::Decoder::new(bytes.as_slice()).map_err(|error| corrupt("zstd", &error))?;
            counted(decoder, bytes.len(), "zstd", limits)
        }
    }
}

/// Reads a packed stream to its end, within the caps.
pub(super) fn counted(
    packed: impl Read,
    packed_len: usize,
    packing: &str,
    limits: &IngestLimits,
) -> Result<Vec<u8>, ReadError> {
    let mut out = Vec::with_capacity(packed_len.saturating_mul(3).min(limits.max_inflated_bytes));
    copy_counted(packed, packed_len, packing, limits, limits.max_inflated_bytes, &mut out)?;
    Ok(out)
}

/// Copies a packed stream to its end, within the caps and what is `left` of them; how many bytes it had.
pub(super) fn copy_counted(
    mut packed: impl Read,
    packed_len: usize,
    packing: &str,
    limits: &IngestLimits,
    left: usize,
    to: &mut impl Write,
) -> Result<usize, ReadError> {
    let mut total = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        let n_bytes = packed.read(&mut chunk).map_err(|error| corrupt(packing, &error))?;
        if n_bytes == 0 {
            return Ok(total);
        }
        to.write_all(&chunk[..n_bytes]).map_err(|error| corrupt(packing, &error))?;
        total += n_bytes;
        if total > left {
            return Err(too_large(limits));
        }
        if total > RATIO_COUNTS_PAST && total / packed_len.max(1) > limits.max_inflate_ratio {
            return Err(ReadError::OverLimit {
                code: "inflate_ratio",
                what: "bytes out for each byte in",
                max: limits.max_inflate_ratio,
            });
        }
    }
}

pub(super) fn too_large(limits: &IngestLimits) -> ReadError {
    ReadError::OverLimit { code: "inflated_too_large", what: "unpacked bytes", max: limits.max_inflated_bytes }
}

fn corrupt(packing: &str, error: &std::io::Error) -> ReadError {
    ReadError::unreadable("corrupt_body", format!("the body is not whole {packing}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).expect("into memory");
        encoder.finish().expect("into memory")
    }

    fn code(bytes: Vec<u8>, encoding: ContentEncoding, limits: &IngestLimits) -> String {
        inflate(bytes, encoding, limits)
            .map_or_else(|error| error.code().to_owned(), |out| format!("{} bytes", out.len()))
    }

    #[test]
    fn what_was_packed_comes_back() {
        let limits = IngestLimits::default();
        let text = b"date,close\n2024-01-02,1\n".repeat(50);
        assert_eq!(inflate(gzip(&text), ContentEncoding::Gzip, &limits).as_ref(), Ok(&text));
        let packed = zstd::encode_all(text.as_slice(), 1).expect("into memory");
        assert_eq!(inflate(packed, ContentEncoding::Zstd, &limits).as_ref(), Ok(&text));
        assert_eq!(inflate(text.clone(), ContentEncoding::Identity, &limits), Ok(text.clone()));
        for packed in [gzip(&text), zstd::encode_all(text.as_slice(), 1).expect("into memory"), text.clone()] {
            assert_eq!(inflate(packed.clone(), ContentEncoding::Unsaid, &limits).as_ref(), Ok(&text));
            assert_eq!(inflate(packed.clone(), ContentEncoding::Identity, &limits).as_ref(), Ok(&packed));
        }
    }

    #[test]
    fn each_cap_holds_on_both_sides() {
        let limits = IngestLimits { max_body_bytes: 100, max_inflated_bytes: 1000, ..IngestLimits::default() };
        assert_eq!(code(vec![b'x'; 100], ContentEncoding::Identity, &limits), "100 bytes");
        assert_eq!(code(vec![b'x'; 101], ContentEncoding::Identity, &limits), "body_too_large");
        assert_eq!(code(gzip(&[b'x'; 1000]), ContentEncoding::Gzip, &limits), "1000 bytes");
        assert_eq!(code(gzip(&[b'x'; 1001]), ContentEncoding::Gzip, &limits), "inflated_too_large");
        let ratio = IngestLimits { max_inflate_ratio: 2000, ..IngestLimits::default() };
        assert_eq!(code(gzip(&vec![0; 3 << 20]), ContentEncoding::Gzip, &ratio), format!("{} bytes", 3 << 20));
        assert_eq!(code(gzip(&vec![0; 3 << 20]), ContentEncoding::Gzip, &IngestLimits::default()), "inflate_ratio");
    }

    #[test]
    fn a_broken_packing_is_refused_and_never_half_read() {
        let limits = IngestLimits::default();
        let mut packed = gzip(&b"date,close\n".repeat(100));
        packed.truncate(packed.len() - 6);
        assert_eq!(code(packed, ContentEncoding::Gzip, &limits), "corrupt_body");
        assert_eq!(code(b"date,close\n".to_vec(), ContentEncoding::Gzip, &limits), "corrupt_body");
        assert_eq!(code(b"date,close\n".to_vec(), ContentEncoding::Zstd, &limits), "corrupt_body");
    }
}
