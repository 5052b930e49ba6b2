-- Which node is mailing what is claimed, so that its death ends the claim.
ALTER TABLE mail ADD COLUMN lease_node INTEGER;
CREATE INDEX mail_of_node ON mail (lease_node) WHERE lease_node IS NOT NULL;
