//! The program: roles, settings, IPC, and the API's implementation.
