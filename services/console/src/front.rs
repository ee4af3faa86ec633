//! How an application shows itself: its name and version, and whom it lets in over HTTP.

use std::fmt;

use roadshow_gateway::{Authenticate, Gateway};

/// What `up` and the documents say of the application, and the hook that its gateway gets.
pub(crate) struct Front {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    hook: Option<Box<dyn FnOnce(Gateway) -> Gateway + Send>>,
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("has_hook", &self.has_hook())
            .finish()
    }
}

impl Front {
    /// A front with Roadshow's own version, which lets nobody in by a closed route.
    pub(crate) fn new(name: &'static str) -> Self {
        Front {
            name,
            version: env!("CARGO_PKG_VERSION"),
            hook: None,
        }
    }

    /// Lets in whom the hook lets in.
    pub(crate) fn authenticate(&mut self, hook: impl Authenticate) {
        self.hook = Some(Box::new(|gateway| gateway.authenticate(hook)));
    }

    /// Whether anybody can come in by a closed route.
    pub(crate) fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    /// The gateway under this name, with the hook.
    pub(crate) fn on(self, gateway: Gateway) -> Gateway {
        let gateway = gateway.about(self.name, self.version);
        match self.hook {
            Some(hook) => hook(gateway),
            None => gateway,
        }
    }
}
