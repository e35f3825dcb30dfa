//! DS1307: a battery-backed clock on I2C, where the kernel has no driver for it.
//!
//! Registers are the crate `ds1307`'s. A clock whose oscillator is stopped, as it is when the battery was taken out, shows
//! nothing; setting it starts it.
//!
//! Does not belong here: clocks that the kernel drives (`rtc.rs`).

use std::time::Duration;

use ds1307::{DateTimeAccess, Ds1307, Error, NaiveDate, NaiveDateTime};
use embedded_hal::i2c::I2c;
use hal::{ErrorKind, HalError, Rtc, WallTime, i2c_error};

/// Its 7-bit address, the only one it has.
pub(crate) const ADDRESS: u8 = 0x68;

/// The two digits of its year begin here.
const FROM_UNIX_SEC: i64 = 946_684_800;
/// And end here: 2100-01-01T00:00:00Z.
const UNTIL_UNIX_SEC: i64 = 4_102_444_800;

/// The clock.
#[derive(Debug)]
pub(crate) struct Ds1307Rtc<I> {
    chip: Ds1307<I>,
}

impl<I: I2c> Ds1307Rtc<I> {
    pub(crate) fn new(bus: I) -> Self {
        Self { chip: Ds1307::new(bus) }
    }
}

impl<I: I2c + Send> Rtc for Ds1307Rtc<I> {
    fn read(&mut self) -> Result<Option<WallTime>, HalError> {
        let what = "reading the DS1307";
        if !self.chip.running().map_err(|error| chip_error(what, &error))? {
            return Ok(None);
        }
        match self.chip.datetime() {
            Ok(time) => Ok(Some(WallTime::from_unix_micros(time.and_utc().timestamp_micros()))),
            Err(Error::InvalidInputData) => Ok(None),
            Err(error) => Err(chip_error(what, &error)),
        }
    }

    fn set(&mut self, time: WallTime) -> Result<(), HalError> {
        let what = "setting the DS1307";
        let unix_sec = time.as_unix_micros().div_euclid(1_000_000);
        let date = date(unix_sec)
            .ok_or_else(|| HalError::new(ErrorKind::Unsupported, format!("{what}: it knows 2000 to 2099")))?;
        self.chip.set_datetime(&date).map_err(|error| chip_error(what, &error))?;
        self.chip.set_running().map_err(|error| chip_error(what, &error))
    }
}

fn date(unix_sec: i64) -> Option<NaiveDateTime> {
    let since_1970 =
        (FROM_UNIX_SEC..UNTIL_UNIX_SEC).contains(&unix_sec).then_some(unix_sec.unsigned_abs())?;
    Some(NaiveDate::from_ymd_opt(1970, 1, 1)?.and_hms_opt(0, 0, 0)? + Duration::from_secs(since_1970))
}

fn chip_error(what: &str, error: &Error<impl embedded_hal::i2c::Error>) -> HalError {
    match error {
        Error::I2C(error) => i2c_error(what, error),
        Error::InvalidInputData => HalError::new(ErrorKind::Device, format!("{what}: it shows no date")),
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal::i2c::{ErrorKind as BusErrorKind, NoAcknowledgeSource};
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-20T14:10:05Z, a Friday, and the registers that say so.
    const MOMENT: WallTime = WallTime::from_unix_micros(1_795_183_805_000_000);
    const REGISTERS: [u8; 7] = [0x05, 0x10, 0x14, 0x06, 0x20, 0x11, 0x26];

    fn read(transactions: &[Transaction]) -> Result<Option<WallTime>, HalError> {
        let mut bus = Mock::new(transactions);
        let shown = Ds1307Rtc::new(bus.clone()).read();
        bus.done();
        shown
    }

    fn shows(registers: [u8; 7]) -> [Transaction; 2] {
        [
            Transaction::write_read(ADDRESS, vec![0], vec![registers[0]]),
            Transaction::write_read(ADDRESS, vec![0], registers.to_vec()),
        ]
    }

    #[test]
    fn its_registers_are_a_date() {
        assert_eq!(read(&shows(REGISTERS)).unwrap(), Some(MOMENT));
        // The same in its 12-hour mode: 02 PM.
        let mut american = REGISTERS;
        american[2] = 0x62;
        assert_eq!(read(&shows(american)).unwrap(), Some(MOMENT));
    }

    #[test]
    fn a_stopped_one_and_one_without_a_date_show_nothing() {
        let stopped = [Transaction::write_read(ADDRESS, vec![0], vec![0x80])];
        assert_eq!(read(&stopped).unwrap(), None);
        assert_eq!(read(&shows([0x7F; 7])).unwrap(), None);
    }

    #[test]
    fn setting_it_starts_it() {
        let mut written = vec![0];
        written.extend(REGISTERS);
        // It stood still: the oscillator's bit is kept with the date, then cleared.
        written[1] |= 0x80;
        let mut bus = Mock::new(&[
            Transaction::write_read(ADDRESS, vec![0], vec![0x80]),
            Transaction::write(ADDRESS, written),
            Transaction::write_read(ADDRESS, vec![0], vec![0x85]),
            Transaction::write(ADDRESS, vec![0, 0x05]),
        ]);
        let mut clock = Ds1307Rtc::new(bus.clone());
        clock.set(MOMENT.offset_micros(999_999)).unwrap();
        for year_it_has_not in [FROM_UNIX_SEC - 1, UNTIL_UNIX_SEC] {
            let time = WallTime::from_unix_micros(year_it_has_not * 1_000_000);
            assert_eq!(clock.set(time).unwrap_err().kind(), ErrorKind::Unsupported);
        }
        bus.done();
    }

    #[test]
    fn a_bus_without_it_says_so() {
        let nobody = BusErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
        let asked = Transaction::write_read(ADDRESS, vec![0], vec![0]).with_error(nobody);
        let error = read(&[asked]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.to_string().contains("DS1307"), "{error}");
    }

    proptest! {
        #[test]
        fn whatever_its_registers_hold_is_a_date_or_nothing(registers in any::<[u8; 7]>()) {
            let running = registers[0] & 0x80 == 0;
            let shown = read(&shows(registers)[..if running { 2 } else { 1 }]).unwrap();
            prop_assert!(running || shown.is_none());
            let seconds = shown.map(|time| time.as_unix_micros() / 1_000_000);
            prop_assert!(seconds.is_none_or(|seconds| seconds >= FROM_UNIX_SEC));
        }

        #[test]
        fn every_second_of_its_century_has_a_date(unix_sec in FROM_UNIX_SEC..UNTIL_UNIX_SEC) {
            prop_assert_eq!(date(unix_sec).map(|date| date.and_utc().timestamp()), Some(unix_sec));
        }
    }
}
