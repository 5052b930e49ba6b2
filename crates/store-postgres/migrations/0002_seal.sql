-- Which master key the stored secrets are sealed with: a keyed hash, so that a node with another key
-- is refused instead of sealing what no other node can open.
CREATE TABLE seal (
  single boolean PRIMARY KEY CHECK (single),
  fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32)
);
