"""A provider with a schema and no logic, served over Terraform's plugin protocol on loopback."""

import concurrent.futures
import json
import os
from pathlib import Path

import grpc
import plugin_pb2 as messages
import plugin_pb2_grpc as rpc

UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class SchemaOnlyProvider(rpc.ProviderServicer):
    """Returns the schema and accepts everything that matches it, without the provider's own rules."""

    def __init__(self, schema_file: Path):
        schema = json.loads(schema_file.read_text())
        self.schema = messages.ProviderSchema()
        self.schema.provider.block.CopyFrom(block(schema["provider"]))
        for name, inner in schema["resources"].items():
            self.schema.resource_schemas[name].block.CopyFrom(block(inner))
        for name, inner in schema["data"].items():
            self.schema.data_source_schemas[name].block.CopyFrom(block(inner))

    def GetProviderSchema(self, request, context):
        return self.schema

    def ValidateProviderConfig(self, request, context):
        return messages.ProviderDiagnostics()

    def ValidateResourceConfig(self, request, context):
        return messages.Diagnostics()

    def ValidateDataResourceConfig(self, request, context):
        return messages.Diagnostics()

    def ConfigureProvider(self, request, context):
        return messages.Diagnostics()

    def StopProvider(self, request, context):
        return messages.Empty()

    def UpgradeResourceState(self, request, context):
        return messages.UpgradeResponse(upgraded_state=messages.DynamicValue(json=request.raw_state.json))


def block(schema: dict, in_collection: bool = False) -> messages.Schema.Block:
    """The wire form of a block. Terraform rejects `dynamic` inside list and set blocks: there it becomes a string."""
    result = messages.Schema.Block()
    for item in schema["attributes"]:
        kind = json.dumps(item["type"])
        result.attributes.add(
            name=item["name"],
            type=(kind.replace('"dynamic"', '"string"') if in_collection else kind).encode(),
            required=item["required"],
            optional=item["optional"] and not item["required"],
            computed=item["computed"] and not item["required"],
            # The bindings do not mark write-only arguments, but both providers name them like this.
            write_only=item["name"].endswith("_wo"),
        )
    for item in schema["blocks"]:
        counted = item["nesting"] in ("LIST", "SET")
        nested = result.block_types.add(
            type_name=item["name"],
            nesting=messages.Schema.NestedBlock.NestingMode.Value(item["nesting"]),
            min_items=item["min"] if counted else 0,
            max_items=item["max"] if counted else 0,
        )
        nested.block.CopyFrom(block(item["block"], in_collection or counted))
    return result


def serve(schemas: dict[str, Path]) -> tuple[str, list[grpc.Server]]:
    """Serves each provider address; returns the value of TF_REATTACH_PROVIDERS, and the servers to stop."""
    reattach, servers = {}, []
    for address, schema_file in schemas.items():
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=4), options=UNLIMITED)
        rpc.add_ProviderServicer_to_server(SchemaOnlyProvider(schema_file), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        reattach[address] = {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
        }
    return json.dumps(reattach), servers
