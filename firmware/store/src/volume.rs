//! Placeholder of the module `volume`.
