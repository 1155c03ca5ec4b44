//! Where full buffers go.
