//! Which numbers of days of retention go together.
//!
//! A volume has eight classes of retention, and what lies in one follows that one's rule for ever after. So a number of days
//! always has the same class, whatever the other channels have, and a class has one number of days at a time. docs/settings.md.
//! Does not belong here: what classes are (crate `store`).

/// The most days of each class from class 1 on. Class 0 is kept as long as there is room.
const MOST_DAYS: [u32; 7] = [1, 3, 7, 14, 31, 92, MAX_DAYS];

/// The most days that can be asked for.
pub(super) const MAX_DAYS: u32 = 3650;

/// The number of the class; `None` is as long as there is room.
pub(crate) fn class_of(days: Option<u32>) -> u8 {
    let Some(days) = days else { return 0 };
    let place = MOST_DAYS.iter().position(|most| days <= *most).unwrap_or(MOST_DAYS.len() - 1);
    place as u8 + 1
}

/// The most days that a class is for; `None` for class 0.
pub(crate) fn most_days(class: u8) -> Option<u32> {
    MOST_DAYS.get(usize::from(class).checked_sub(1)?).copied()
}

/// Of these numbers, from and to, only one can be in use at a time.
pub(super) fn rivals(days: u32) -> (u32, u32) {
    let class = class_of(Some(days));
    let least = most_days(class - 1).map_or(1, |most| most + 1);
    (least, most_days(class).unwrap_or(MAX_DAYS))
}
