//! A chip on an I2C bus, for tests: registers, what was written, its own flags.
//!
//! Where the order on the bus matters, tests take a transcript (embedded-hal-mock) instead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

/// A chip; clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct ChipDouble(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    address: u8,
    bank_register: u8,
    banked: std::ops::RangeInclusive<u8>,
    bank: u8,
    registers: HashMap<(u8, u8), u8>,
    /// Bank, register and value of each write since the last look.
    written: Vec<(u8, u8, u8)>,
    /// A write of the first sets the second.
    raises: HashMap<(u8, u8), (u8, u8)>,
    broken: bool,
}

impl ChipDouble {
    /// The value of `bank_register` chooses the bank of registers in `banked`; the others are in bank 0.
    pub(super) fn new(address: u8, bank_register: u8, banked: std::ops::RangeInclusive<u8>) -> Self {
        Self(Arc::new(Mutex::new(State {
            address,
            bank_register,
            banked,
            bank: 0,
            registers: HashMap::new(),
            written: Vec::new(),
            raises: HashMap::new(),
            broken: false,
        })))
    }

    /// Sets a register as the chip itself does.
    pub(super) fn set(&self, bank: u8, register: u8, value: u8) {
        self.0.lock().unwrap().registers.insert((bank, register), value);
    }

    pub(super) fn get(&self, bank: u8, register: u8) -> u8 {
        self.0.lock().unwrap().registers.get(&(bank, register)).copied().unwrap_or_default()
    }

    /// Whenever `on` (register, value) is written, `sets` (register, value of bank 0) follows.
    pub(super) fn raise(&self, on: (u8, u8), sets: (u8, u8)) {
        self.0.lock().unwrap().raises.insert(on, sets);
    }

    /// What was written since the last look, the choice of banks left out: bank, register, value.
    pub(super) fn written(&self) -> Vec<(u8, u8, u8)> {
        std::mem::take(&mut self.0.lock().unwrap().written)
    }

    /// From now on the bus fails.
    pub(super) fn break_bus(&self) {
        self.0.lock().unwrap().broken = true;
    }
}

impl ErrorType for ChipDouble {
    type Error = ErrorKind;
}

impl I2c for ChipDouble {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        let mut state = self.0.lock().unwrap();
        if state.broken {
            return Err(ErrorKind::Bus);
        }
        if address != state.address {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        let bank = |state: &State, register| if state.banked.contains(&register) { state.bank } else { 0 };
        match operations {
            [Operation::Write([register, value])] => {
                if *register == state.bank_register {
                    state.bank = *value;
                } else {
                    let place = (bank(&state, *register), *register);
                    state.written.push((place.0, place.1, *value));
                    state.registers.insert(place, *value);
                    if let Some((register, value)) = state.raises.get(&(*register, *value)).copied() {
                        state.registers.insert((0, register), value);
                    }
                }
            }
            [Operation::Write([register]), Operation::Read([into])] => {
                let place = (bank(&state, *register), *register);
                *into = state.registers.get(&place).copied().unwrap_or_default();
            }
            _ => return Err(ErrorKind::Other),
        }
        Ok(())
    }
}
