-- Part of ack and nack: says of each delivery that is not of whoever received it any more, why.
CREATE FUNCTION eventstore.consumer_lost_v1(_group text, _lost text[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _id    text;
    _state text;
    _who   text;
BEGIN
    FOR _id, _state, _who IN
        SELECT l.id, d.state, d.member
          FROM unnest(_lost) AS l(id)
          LEFT JOIN eventstore.deliveries AS d ON d.consumer_group = _group AND d.position = split_part(l.id, '-', 1)::bigint
         ORDER BY split_part(l.id, '-', 1)::bigint
    LOOP
        RAISE NOTICE 'nothing is done about delivery %, which is not yours: %', _id, CASE
            WHEN _state IS NULL THEN 'its event is settled, or was not delivered yet'
            WHEN _state = 'parked' THEN 'its event is parked'
            WHEN _state = 'leased' THEN format('its lease ran out, and %s has received the event', coalesce(_who, 'somebody'))
            ELSE 'its lease ran out or it was given back, and the event waits to be delivered' END;
    END LOOP;
END $$;
