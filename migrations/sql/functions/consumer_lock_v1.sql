-- Part of all that changes deliveries: one at a time for each group, and nobody waits for it for ever,
-- so that whoever leaves a transaction open takes no more than this group's members away. ST008: there is no such group.
-- ST012: the log was rewound, so that the group has had events that are not those of the log.
CREATE FUNCTION eventstore.consumer_lock_v1(_group text, _lock boolean DEFAULT true) RETURNS eventstore.consumer_groups
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
    _of    eventstore.consumer_groups;
    _epoch integer;
BEGIN
    IF _lock THEN
        SELECT * INTO _of FROM eventstore.consumer_groups AS g WHERE g.consumer_group = _group FOR UPDATE;
    ELSE
        SELECT * INTO _of FROM eventstore.consumer_groups AS g WHERE g.consumer_group = _group;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no consumer group "%"', _group
            USING ERRCODE = 'ST008', HINT = 'SELECT * FROM eventstore.consumer_status';
    END IF;
    SELECT l.epoch INTO STRICT _epoch FROM eventstore.log AS l;
    IF _of.epoch <> _epoch AND NOT _lock THEN
        RETURN eventstore.consumer_lock_v1(_group);  -- an epoch may have begun between these two looks
    ELSIF _of.epoch <> _epoch THEN
        RAISE EXCEPTION 'consumer group "%" is at position % of epoch %, but the log is of epoch %',
                _group, _of.checkpoint, _of.epoch, _epoch
            USING ERRCODE = 'ST012',
                  DETAIL = jsonb_build_object(
                    'position', _of.checkpoint, 'epoch', _of.epoch, 'current_epoch', _epoch,
                    'head', (SELECT coalesce(max(e.position), 0) FROM eventstore.events AS e)),
                  HINT = 'its history was rewound: delete the group and make it anew';
    END IF;
    RETURN _of;
END $$;
