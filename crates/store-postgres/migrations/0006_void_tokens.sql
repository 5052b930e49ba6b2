-- Sets of signed tokens that are not valid any more.
CREATE TABLE token_void (
  org text COLLATE "C" NOT NULL,
  -- `all`, `one/` and a hash, an application's id, or that, `/` and the name of a session.
  name text COLLATE "C" NOT NULL,
  -- Tokens that were made later stay valid.
  issued_until bigint NOT NULL,
  void_from bigint NOT NULL,
  -- No token of the set would be valid from then on in any case.
  forget_at bigint,
  PRIMARY KEY (org, name, issued_until, void_from)
);
CREATE INDEX token_void_forgotten ON token_void (forget_at) WHERE forget_at IS NOT NULL;

-- The log of changes learns of them: kind 4.
ALTER TABLE change_log DROP CONSTRAINT change_log_kind_check,
  ADD CONSTRAINT change_log_kind_check CHECK (kind BETWEEN 0 AND 4);
