-- Which of n partitions a stream belongs to: the first 32 bits of its name's MD5, modulo n. The same
-- on every platform and version of PostgreSQL, and in Python.
CREATE FUNCTION eventstore.partition_of(stream_name text, partitions integer) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
RETURN (('x' || substr(md5(convert_to(stream_name, 'UTF8')), 1, 8))::bit(32)::bigint & 4294967295) % partitions;
