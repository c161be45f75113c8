//! Numbers that wrap around.

use downpour_base::Instant;

/// How far `to` lies ahead of `from`, negative if it lies behind.
pub(crate) const fn offset(from: u16, to: u16) -> i32 {
    to.wrapping_sub(from) as i16 as i32
}

/// The 32-bit microsecond clock of packet headers, which wraps every 71 minutes.
pub(crate) const fn micros(now: Instant) -> u32 {
    (now.as_nanos() / 1000) as u32
}

/// Whether `a` lies before `b` on the 32-bit clock.
pub(crate) const fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap() {
        assert_eq!(offset(0xffff, 2), 3);
        assert_eq!(offset(2, 0xffff), -3);
        assert!(is_before(0xffff_fff0, 5) && !is_before(5, 0xffff_fff0));
        let hour = Instant::from_nanos(4_294_967_296_000 + 7_000);
        assert_eq!(micros(hour), 7);
    }
}
