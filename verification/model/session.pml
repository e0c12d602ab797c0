/*
 * The data of one session in Redis: the keys of docs/redis-protocol.md, reduced to what the protocol's decisions
 * depend on.
 */

#define NONE 0

/* Requests. NONE stands for a step without a client: the sweeper's, or a cancel's. */
#define MESSAGE 1
#define OTHER 2
#define PLAIN 3
#define RETRY 4
#define RESULT_A 5
#define RESULT_B 6
#define REQUESTS 7

#define is_result(request) (request >= RESULT_A)
#define has_key(request) (request != PLAIN && !is_result(request))
#define call_of(request) (request - RESULT_A)

/* Sets, as bits. */
#define bit_of(member) (1 << (member))
#define has(set, member) ((set) & bit_of(member))

/* status */
#define IDLE 0
#define RUNNING 1
#define WAITING 2

/* lease_until. Whether it has passed decides who may take the lease, never who may write. */
#define NO_LEASE 0        /* 0: released, or committed */
#define RAN_OUT 1
#define IN_TIME 2

/* c:CALL in the ledger */
#define UNKNOWN 0
#define PENDING 1
#define ANSWERED 2
#define CANCELLED 3

/* The history's last message. */
#define NOTHING 0
#define USER 1
#define ASSISTANT 2
#define TOOL 3

typedef Session {
  /* state */
  byte status;
  byte fence;
  byte token;               /* NONE once the lease was released */
  byte lease;               /* lease_until */
  short attempt;
  byte lost;                /* owners that fell silent with the step, up to 2 */
  bool intent;              /* cancel */
  byte pending;             /* calls */
  /* ledger */
  byte begun[TOKENS];       /* t:TOKEN, the step; 0 for a token that was not seen */
  short committed;          /* t:TOKEN says committed */
  byte key[REQUESTS];       /* k:KEY, the step */
  byte call[2];             /* c:CALL */
  byte call_step;
  /* history */
  byte last;
  byte open;                /* calls in it without a tool message */
  byte messages;            /* requests whose message it has */
  byte first;               /* the first of these; known only to checks with rewinds */
  /* events */
  byte opened;              /* the token whose nonce the last FENCE-0 carries */
  byte sequence;            /* of the last entry of the latest step */
  bool text;                /* whether the log has text that a cancel would keep */
  short done;               /* steps whose `done` is there */
  short replacing;          /* steps that were opened with `replaces` */
  /* Not in Redis: these serve the properties alone. */
  short stored;             /* steps whose end is in the history */
  short wrote;              /* tokens that committed one */
  byte origin;              /* the step that begin_step opened, of which the present one is a repetition */
  byte runs;                /* how often the step was taken to run it */
  byte released;          /* how many of these runs were released */
  bool counts;              /* whether the present lease is a run that was not released */
  short preempted;             /* steps that a cancel preempted, by their origin */
};

Session s;

mtype = { BEGIN_STEP, APPEND_EVENTS, LOG_EVENTS, COMMIT_STEP, TAKE_OVER, RELEASE_STEP, REWIND };
mtype = { STARTED, REPLAY, STORED, BUSY, ORPHANED, LATE, UNKNOWN_CALL, CALL_CLOSED, REFUSED,    /* begin_step's replies */
          WRITTEN, COMMITTED, ALREADY, LOST, TAKEN, ALIVE, GONE, SUSPECT, RELEASED, REWOUND };
mtype = { RUN, CANCEL, FAIL };                                                                 /* what a lease is for */

/* A message enters the history. */
inline push_user() {
  require(I1_acceptable_history, s.open == 0);
  s.last = USER
}

inline push_tool(id) {
  require(I1_acceptable_history, has(s.open, id));
  s.open = s.open & ~bit_of(id);
  s.last = TOOL
}

inline push_assistant(ids) {
  require(I1_acceptable_history, s.open == 0 && (s.last == USER || s.last == TOOL));
  s.open = ids;
  s.last = ASSISTANT
}

/* The message that entered is this request's. */
inline push_from(request) {
  require(I2_message_once, !has(s.messages, request));
  s.first = (REWINDS && s.messages == 0 -> request : s.first);
  s.messages = s.messages | bit_of(request)
}

/* FENCE-0 enters the log; all later events of the step rest on it. */
inline open_step(by) {
  s.fence++;
  require(bounds_suffice, s.fence < FENCES);
  s.opened = by;
  s.sequence = 0
}
