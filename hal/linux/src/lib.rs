//! The Linux kernel's devices behind the HAL's traits: flash, watchdog, GPIO, I2C.
