public import Testing

/// What a suite needs beside memory and a moment. `scripts/test.sh` runs each tagged suite in a process of its
/// own, and all suites without a tag at the same time in one process (`make test-unit`).
extension Tag {
    /// Suites that start a Redis.
    @Tag public static var redis: Self
    /// Suites that start replicas, balancers, drills or other programs.
    @Tag public static var processes: Self
    /// Suites that measure how long something takes. Other tests would slow them down.
    @Tag public static var clock: Self
    /// Suites that try thousands of inputs and keep a core busy for seconds. In one process with
    /// others, they would keep the others from running.
    @Tag public static var search: Self
}
