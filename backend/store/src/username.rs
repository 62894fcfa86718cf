//! Usernames: normalised by PRECIS (RFC 8265), compared by what they look like (UTS #39 skeleton).
