//! `TLSOptions` as an optional argument.

use godot::classes::TlsOptions;
use godot::meta::conv::ByValue;
use godot::meta::error::ConvertError;
use godot::meta::shape::GodotShape;
use godot::meta::{FromGodot, GodotConvert, GodotImmutable, ToGodot};
use godot::obj::Gd;

/// An argument of type `TLSOptions` whose default is `null`.
#[derive(Clone, Debug)]
pub(crate) struct OptionalTls(pub(crate) Option<Gd<TlsOptions>>);

impl OptionalTls {
    /// Whether options are given that are for servers.
    pub(crate) fn is_for_servers(&self) -> bool {
        self.0.as_ref().is_some_and(|options| options.is_server())
    }

    /// Whether options are given that are for clients.
    pub(crate) fn is_for_clients(&self) -> bool {
        self.0.as_ref().is_some_and(|options| !options.is_server())
    }
}

impl GodotConvert for OptionalTls {
    type Via = Option<Gd<TlsOptions>>;

    fn godot_shape() -> GodotShape {
        Option::<Gd<TlsOptions>>::godot_shape()
    }
}

impl ToGodot for OptionalTls {
    type Pass = ByValue;

    fn to_godot(&self) -> Self::Via {
        self.0.clone()
    }
}

impl FromGodot for OptionalTls {
    fn try_from_godot(via: Self::Via) -> Result<Self, ConvertError> {
        Ok(Self(via))
    }
}

// SAFETY: only `null` is used as a default value, and null cannot be changed.
unsafe impl GodotImmutable for OptionalTls {}
