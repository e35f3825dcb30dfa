//! The HTTP API: trait, view types, router, OpenAPI and the browser app.
