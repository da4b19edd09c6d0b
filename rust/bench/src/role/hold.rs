//! Clients that are there and do nothing.

use anyhow::Result;

use super::Role;
use crate::options::Options;

pub(crate) struct Hold {
    clients: usize,
}

impl Hold {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        Ok(Self { clients: options.get("clients")? })
    }
}

impl Role for Hold {
    fn gathers(&self) -> usize {
        self.clients
    }
}
