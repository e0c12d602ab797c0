public import Testing

/// The resources that a suite needs beside memory and a little time. `scripts/test.sh` runs each
/// tagged suite in a process of its own, and all suites without a tag at the same time in one
/// process (`make test-unit`).
extension Tag {
    /// Suites that start a Redis.
    @Tag public static var redis: Self
    /// Suites that start replicas, balancers, drills or other programs.
    @Tag public static var processes: Self
    /// Suites that measure how long something takes. Other tests would slow them down.
    @Tag public static var clock: Self
    /// Suites that try thousands of inputs and keep a core busy for seconds. In one process with
    /// other suites, they would delay these.
    @Tag public static var search: Self
}
