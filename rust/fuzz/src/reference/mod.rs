//! A second reading of the RFCs, which decides what core must do.
//!
//! It shares no code with core, looks at everything from the first byte each time, and knows neither
//! sockets nor pieces.

pub mod frames;
pub mod head;
pub mod upgrade;
