//! Both sides of one negotiation on a virtual clock.
