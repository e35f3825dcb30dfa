//! Board descriptions: TOML files and their typed, validated model.
