//! Which mechanism to log in with: the strongest that both sides have, and never one below what this account had before.

use super::Credentials;
use super::end::{Cause, End};
use crate::binding::{BindingKind, ChannelBindings};
use crate::scram::Mechanism;

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) mechanism: Mechanism,
    /// For `-PLUS`.
    pub(super) binding: Option<BindingKind>,
    /// We could bind but the server offered no `-PLUS`: flag `y`.
    pub(super) server_cannot_bind: bool,
}

/// What there is to choose from. The connection is encrypted, or nothing is chosen.
pub(super) struct Offer<'a> {
    pub(super) mechanisms: &'a [String],
    /// XEP-0440
    pub(super) bindings: Option<&'a [String]>,
}

pub(super) fn choose(
    offer: &Offer<'_>,
    credentials: &Credentials,
    ours: &ChannelBindings,
    floor: Option<Mechanism>,
) -> Result<Choice, End> {
    let binding = ours.choose(offer.bindings);
    let offered = |mechanism: &Mechanism| offer.mechanisms.iter().any(|name| name == mechanism.name());
    let usable = |mechanism: &Mechanism| !mechanism.is_plus() || binding.is_some();
    let fits = |mechanism: &Mechanism| match credentials {
        Credentials::Password(_) => true,
        Credentials::Keys(keys) => mechanism.hash() == Some(keys.hash()),
    };
    let shared: Vec<Mechanism> = Mechanism::ALL.into_iter().filter(|mechanism| offered(mechanism) && usable(mechanism)).collect();
    let Some(strongest) = shared.first() else { return Err(nothing_shared(offer)) };
    // Without anything to bind to on our side, a floor with binding is a floor of the same hash without.
    let floor = floor.map(|floor| if ours.any() { floor } else { floor.without_plus() });
    if floor.is_some_and(|floor| *strongest < floor) {
        return Err(downgrade(*strongest, floor));
    }
    let Some(mechanism) = shared.iter().copied().find(fits) else {
        return Err(End::new(Cause::KeysOutdated, format!("the saved login does not fit {strongest}, the password is needed once")));
    };
    if floor.is_some_and(|floor| mechanism < floor) {
        return Err(downgrade(mechanism, floor));
    }
    let offers_plus = offer.mechanisms.iter().any(|name| name.ends_with("-PLUS"));
    Ok(Choice {
        mechanism,
        binding: binding.filter(|_| mechanism.is_plus()),
        server_cannot_bind: ours.any() && !offers_plus && mechanism != Mechanism::Plain,
    })
}

fn nothing_shared(offer: &Offer<'_>) -> End {
    let names: Vec<&str> = offer.mechanisms.iter().map(String::as_str).collect();
    End::new(Cause::LoginRefused, format!("the server offers no way to log in that we know, only {}", names.join(", ")))
}

fn downgrade(offered: Mechanism, floor: Option<Mechanism>) -> End {
    let before = floor.map(Mechanism::name).unwrap_or_default();
    End::new(
        Cause::Downgrade,
        format!("the server offers {offered} at best, but this account had {before} before: somebody may be in between"),
    )
}
