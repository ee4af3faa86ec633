//! When a keyed call is sent again, on bridges that lose what a dead node had.
//!
//! Whoever executes it says so while it does. A caller that has heard nothing for a while takes the node for dead and
//! sends the same message once more; its id, and its key, tell whoever gets both that they are one piece of work.

use std::time::Duration;

use roadshow_bridges::Capability;

/// How often whoever executes a keyed call says that it does.
pub(super) const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);
/// From what silence on a keyed call is sent again.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// How often a call is sent at most.
const SENT_MAX: u32 = 16;

/// Whether calls have to be sent again by us on this bridge: whether a command is lost with the node that took it.
pub(super) fn is_ours_to_resend(capability: &Capability) -> bool {
    !(capability.holds_backlog && capability.redelivery_to_other)
}

/// How long to wait for a sign of life of a call that was sent `sent` times; `None`: until its deadline. `resends` is whether
/// it has a key and is ours to send again.
pub(super) fn patience(resends: bool, sent: u32) -> Option<Duration> {
    (resends && sent < SENT_MAX).then_some(SILENT_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_a_key_and_would_be_lost_is_sent_again_and_not_for_ever() {
        let bridge = |holds_backlog, redelivery_to_other| {
            let mut capability = Capability::none("test");
            capability.holds_backlog = holds_backlog;
            capability.redelivery_to_other = redelivery_to_other;
            capability
        };
        let table = [
            (true, bridge(true, true), 1, false),
            (true, bridge(false, true), 1, true),
            (true, bridge(true, false), 1, true),
            (true, bridge(false, false), 15, true),
            (true, bridge(false, false), 16, false),
            (false, bridge(false, false), 1, false),
        ];
        for (keyed, capability, sent, again) in table {
            let patience = patience(keyed && is_ours_to_resend(&capability), sent);
            assert_eq!(patience, again.then_some(SILENT_AFTER), "{keyed} {capability:?} {sent}");
        }
    }
}
