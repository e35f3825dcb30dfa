//! Channels that somebody marks: what they show is an event.
//!
//! Does not belong here: what becomes of its footage (`record`).

use bus::EventKind;
use hal::ChannelId;
use ledger::Event;
use web::event_views::EventInput;
use web::{ApiError, Caller};

use super::house::House;

pub(super) fn mark(
    house: &House,
    caller: &Caller,
    channel: ChannelId,
    input: EventInput,
) -> Result<(), ApiError> {
    let seconds = input.seconds;
    tracing::info!(user = caller.user, from = %caller.from, %channel, seconds, "marks an event");
    // Else nothing would be kept that is not kept anyway, and nobody would know.
    if house.settings.borrow().channel(channel).is_none_or(|channel| channel.keep_event_days.is_none()) {
        let message = "Event footage of this channel is kept as the rest is. Say for how many days under Settings, Cameras.";
        return Err(ApiError::conflict("no_event_days", message));
    }
    if !house.announce(channel, EventKind::Marked { seconds }) {
        return Err(ApiError::unavailable("events", "The recorder cannot tell its parts of it. Try again."));
    }
    house.notes.note(&Event::EventMarked {
        by: caller.user.as_str().into(),
        from: Some(caller.from.ip()),
        channel,
        seconds: u64::from(seconds),
    });
    Ok(())
}
