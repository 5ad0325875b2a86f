-- What is wrong with the data or metadata of an event; NULL if nothing is. Judged by the text that
-- readers get. Called for longer texts only: one of up to 1,000 characters has none of these faults.
CREATE FUNCTION eventstore.json_fault_v1(_value jsonb, _text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
           WHEN length(_text) - length(translate(_text, '[{', '')) > 512
                AND jsonb_path_exists(_value, 'strict $.**{512} ? (@.type() == "array" || @.type() == "object")')
                THEN 'nested deeper than 512 levels'
           WHEN _text ~ '[0-9.]{250}'  -- seldom, also within strings: only then is every number looked at
                AND EXISTS (SELECT FROM jsonb_path_query(_value, 'strict $.** ? (@.type() == "number")') AS n(number)
                             WHERE length(n.number::text) > 1000)
                THEN 'a number has more than 1,000 characters'
           END
$$;
