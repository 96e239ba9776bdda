-- schema: identity
-- GET audit?actor= finds an actor's entries newest first, as read_model.audit_log has it.
CREATE INDEX audit_events_actor ON audit_events (tenant_id, actor, at, id);
