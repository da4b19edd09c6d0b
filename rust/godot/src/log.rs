//! Core's lines in the engine's log.

use godot::classes::Os;
use godot::global::{godot_error, godot_print};
use godot::obj::Singleton;
use mio_websocket_core::notice::{Notice, Severity};

/// Prints a line. A script logger may run and call back, so nothing may be borrowed.
pub(crate) fn print(notice: &Notice) {
    match notice.severity {
        Severity::Error => godot_error!("Mio WebSocket: {}", notice.text),
        Severity::Verbose => {
            if Os::singleton().is_stdout_verbose() {
                godot_print!("Mio WebSocket: {}", notice.text);
            }
        }
    }
}
