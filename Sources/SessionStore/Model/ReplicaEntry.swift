/// A replica's entry in `agent:replicas`: `NAME@VERSION@LAYOUT@INSTANCE`.
package struct ReplicaEntry: Sendable, Equatable {
    package var name: String
    package var version: String
    /// The highest layout that it can read.
    package var layout: Int
    /// Its process.
    package var instance: String

    package init(name: String, version: String, layout: Int, instance: String) {
        self.name = name
        self.version = version.replacing("@", with: "-")
        self.layout = layout
        self.instance = instance
    }

    /// Parses an entry; nil for any other text. A name may contain an `@`, the rest may not.
    package init?(_ text: String) {
        var parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count >= 4, let instance = parts.popLast(), let layout = parts.popLast().flatMap({ Int($0) }),
            let version = parts.popLast()
        else { return nil }
        self.init(name: parts.joined(separator: "@"), version: String(version), layout: layout, instance: String(instance))
    }

    package var text: String { "\(name)@\(version)@\(layout)@\(instance)" }
}
