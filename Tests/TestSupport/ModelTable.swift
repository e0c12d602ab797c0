import Foundation

/// The table of docs/models.md, whose rows the tests run.
public enum ModelTable {
    public struct Row: Sendable, CustomStringConvertible {
        public var provider: String
        /// The value of `AGENT_RUNTIME__LLM_PROXY_URL`.
        public var url: String
        public var settings: [String: String]
        public var personality: String

        public var description: String { provider }

        /// Returns the URL's path and query at another server.
        public func url(at server: String) -> String {
            server + url.replacing(/^https?:\/\/[^\/]+/, with: "")
        }
    }

    /// The rows in the order of the page; empty if the page cannot be read, which a test of the
    /// page detects.
    public static var rows: [Row] {
        let page = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/models.md")
        let text = (try? String(contentsOf: page, encoding: .utf8)) ?? ""
        let lines = text.split(separator: "\n").drop { !$0.hasPrefix("| provider |") }.dropFirst(2).prefix { $0.hasPrefix("|") }
        return lines.compactMap { row(in: $0) }
    }

    private static func row(in line: Substring) -> Row? {
        let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        guard cells.count >= 4, let url = codes(in: cells[1]).first, let personality = codes(in: cells[3]).first else { return nil }
        let settings = codes(in: cells[2]).compactMap { setting -> (String, String)? in
            let parts = setting.split(separator: "=", maxSplits: 1)
            return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
        }
        return Row(provider: cells[0], url: url, settings: Dictionary(settings) { $1 }, personality: personality)
    }

    private static func codes(in cell: String) -> [String] {
        cell.matches(of: /`([^`]+)`/).map { String($0.output.1) }
    }
}
