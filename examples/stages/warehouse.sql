-- The warehouse, which is no part of the store: any PostgreSQL database.
CREATE TABLE shelves (item text PRIMARY KEY, pieces integer NOT NULL CHECK (pieces >= 0));
CREATE TABLE reservations (
    key uuid PRIMARY KEY,
    item text NOT NULL REFERENCES shelves,
    pieces integer NOT NULL CHECK (pieces > 0)
);
INSERT INTO shelves VALUES ('chair', 1000000);
