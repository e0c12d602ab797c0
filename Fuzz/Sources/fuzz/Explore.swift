#if EXPLORE
import Foundation

// The entry point of libFuzzer, which `-sanitize=fuzzer` builds in; see run.sh. libFuzzer counts
// the code that an input reaches.

private typealias Callback = @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>, _ callback: Callback
) -> Int32

/// libFuzzer's own `main`, which this program does not use, needs this symbol.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 { 0 }

nonisolated(unsafe) private var target: (any Target)?

func explore() {
    guard let kind = ProcessInfo.processInfo.environment["FUZZ_KIND"].flatMap(Kind.init), let made = try? kind.target() else {
        print("FUZZ_KIND must be one of \(Kind.allCases.map(\.rawValue))")
        exit(64)
    }
    target = made
    var count = CommandLine.argc
    var arguments = CommandLine.unsafeArgv
    exit(
        runDriver(&count, &arguments) { start, count in
            target?.run(Array(UnsafeBufferPointer(start: start, count: count)))
            return 0
        })
}
#endif
