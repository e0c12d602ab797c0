/* Facts that no replica knows. */
short asked;                /* steps that a client wanted cancelled, by their origin */
short denied;               /* tokens whose client heard that nothing was written */
byte accepted;              /* requests whose client heard that they were accepted */
bool told_calls;            /* whether a client has heard of the tool calls */
byte failed_over;           /* how often Redis did */
bool is_copied = true;      /* whether Redis has a copy of its latest state */
short cut;                  /* requests whose message a rewind removed */
bool was_cut;               /* whether a rewind has cut the history: the calls in it may be gone */
byte crashes;
byte postpones;
byte losses;
byte stalls;
byte drains;
