-- What is wrong with a stream name, an event type or a tag; NULL if nothing is.
CREATE FUNCTION eventstore.name_fault_v1(_name text, _what text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
           WHEN _name = '' THEN _what || ' must not be empty'
           WHEN octet_length(_name) > 255
                THEN _what || ' is at most 255 bytes of UTF-8: ' || octet_length(_name)
           WHEN _name ~ '[\u0001-\u001f\u007f-\u009f]'
                THEN format('%s has a control character (U+%s)', _what, upper(lpad(to_hex(ascii(
                        substring(_name from '[\u0001-\u001f\u007f-\u009f]'))), 4, '0')))
           WHEN _name IS NOT NFC NORMALIZED
                THEN _what || ' is not in Unicode normal form C (NFC): normalise it first'
           END
$$;
