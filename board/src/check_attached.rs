//! The rules of what is attached where: LEDs, buzzers, alarm inputs, relays.
//!
//! Does not belong here: whether a pin exists and has one use (`check.rs`).

use std::collections::BTreeSet;

use crate::description::Board;
use crate::devices::{Attached, PanelControl};
use crate::fault::{Fault, Step, at, twice, unknown};

/// Every kind of them: its table, what a panel must control for it, and the devices.
pub(crate) fn attached(board: &Board) -> [(&'static str, PanelControl, &[Attached]); 4] {
    [
        ("led", PanelControl::Leds, &board.leds),
        ("buzzer", PanelControl::Buzzer, &board.buzzers),
        ("alarm_input", PanelControl::AlarmInputs, &board.alarm_inputs),
        ("relay", PanelControl::Relays, &board.relays),
    ]
}

/// Each has a name of its own and one place, which is there.
pub(crate) fn check_attached(board: &Board) -> Result<(), Fault> {
    for (table, control, devices) in attached(board) {
        let (mut names, mut places) = (BTreeSet::new(), BTreeSet::new());
        for (index, device) in devices.iter().enumerate() {
            if !names.insert(&device.name) {
                return Err(Fault::new(at![table, index, "name"], twice(table, &device.name)));
            }
            match (&device.pin, &device.panel) {
                (None, None) => {
                    let message = "where is it? add pin = \"...\", or panel = \"...\" and number";
                    return Err(Fault::new(at![table, index], message));
                }
                (Some(_), Some(_)) => {
                    let message = "on a pin and behind a panel at once; remove one of them";
                    return Err(Fault::new(at![table, index, "panel"], message));
                }
                (Some(_), None) if device.number.is_some() => {
                    let message = "only a device behind a panel has a number; remove this";
                    return Err(Fault::new(at![table, index, "number"], message));
                }
                (Some(_), None) => {}
                (None, Some(panel)) => {
                    let number = check_panel(board, panel, control, device, (table, index))?;
                    if !places.insert((panel, number)) {
                        let message =
                            format!("number {number} of panel {panel} is there already; correct one of them");
                        return Err(Fault::new(at![table, index], message));
                    }
                }
            }
        }
    }
    Ok(())
}

/// The panel controls such a device, and has one of that number.
fn check_panel(
    board: &Board,
    name: &str,
    control: PanelControl,
    device: &Attached,
    (table, index): (&'static str, usize),
) -> Result<u8, Fault> {
    let Some(panel) = board.panels.iter().find(|panel| panel.name == *name) else {
        return Err(Fault::new(at![table, index, "panel"], unknown("panel", name, "panel")));
    };
    if !panel.controls.contains(&control) {
        let message = format!("panel {name} controls no {table}; add it to the panel's controls");
        return Err(Fault::new(at![table, index, "panel"], message));
    }
    let number = device.number.unwrap_or(1);
    let numbers = panel.protocol.numbers(control);
    if !numbers.contains(&number) {
        let message = format!(
            "panel {name} has numbers {} to {} of these, not {number}; correct it",
            numbers.start(),
            numbers.end()
        );
        return Err(Fault::new(at![table, index], message));
    }
    Ok(number)
}
