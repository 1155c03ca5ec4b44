//! The live side: sessions and the ring of buffers they fill.
