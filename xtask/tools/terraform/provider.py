"""Stands in for the AWS provider where Terraform wants nothing but its schema: validate, and tests with mocks.

    python provider.py SOCKET SCHEMA

It speaks version 6 of the plugin protocol on a socket, answers from the schema, and can neither read nor change
anything. One process serves every Terraform: the line it prints is for TF_REATTACH_PROVIDERS. It ends with its input.
"""

import json
import os
import sys
from concurrent import futures
from pathlib import Path

import grpc
from tf.gen import grpc_stdio_pb2_grpc as stdio
from tf.gen import tfplugin_pb2 as messages
from tf.gen import tfplugin_pb2_grpc as protocol

NESTING = messages.Schema.NestedBlock.NestingMode


def without_dynamic(kind):
    """Terraform allows no dynamic type inside a set."""
    if kind == "dynamic":
        return "string"
    if isinstance(kind, str):
        return kind
    name, inner = kind
    if isinstance(inner, dict):
        return [name, {field: without_dynamic(of) for field, of in inner.items()}]
    return [name, without_dynamic(inner)]


def block(described, in_set=False):
    made = messages.Schema.Block()
    for name, of in sorted(described["attributes"].items()):
        kind = without_dynamic(of["type"]) if in_set else of["type"]
        flags = {flag: of.get(flag, False) for flag in ("required", "optional", "computed")}
        made.attributes.append(messages.Schema.Attribute(name=name, type=json.dumps(kind).encode(), **flags))
    for name, of in sorted(described["block_types"].items()):
        made.block_types.append(
            messages.Schema.NestedBlock(
                type_name=name,
                block=block(of["block"], in_set or of["nesting_mode"] == "set"),
                nesting=NESTING.Value(of["nesting_mode"].upper()),
                min_items=of.get("min_items", 0),
                max_items=of.get("max_items", 0),
            )
        )
    return made


def schema(described):
    return messages.Schema(version=0, block=block(described))


def whole(described):
    answer = messages.GetProviderSchema.Response(provider=schema(described["provider"]))
    for name, of in described["resource"].items():
        answer.resource_schemas[name].CopyFrom(schema(of))
    for name, of in described["data"].items():
        answer.data_source_schemas[name].CopyFrom(schema(of))
    return answer


class SchemaOnly(protocol.ProviderServicer):
    """Whatever is not answered here is refused as unimplemented, so that nothing is applied by accident."""

    def __init__(self, described):
        super().__init__()
        self.described = whole(described)

    def GetMetadata(self, request, context):
        return messages.GetMetadata.Response(
            resources=[
                messages.GetMetadata.ResourceMetadata(type_name=name) for name in self.described.resource_schemas
            ],
            data_sources=[
                messages.GetMetadata.DataSourceMetadata(type_name=name) for name in self.described.data_source_schemas
            ],
        )

    def GetProviderSchema(self, request, context):
        return self.described

    def ValidateProviderConfig(self, request, context):
        return messages.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):
        return messages.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request, context):
        return messages.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request, context):
        return messages.ConfigureProvider.Response()

    def GetFunctions(self, request, context):
        return messages.GetFunctions.Response()

    def StopProvider(self, request, context):
        return messages.StopProvider.Response()


class NothingToSay(stdio.GRPCStdioServicer):
    """Terraform asks for the output of its providers, and complains when nobody answers."""

    def StreamStdio(self, request, context):
        return iter(())


def main(socket, described):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    protocol.add_ProviderServicer_to_server(SchemaOnly(json.loads(Path(described).read_text())), server)
    stdio.add_GRPCStdioServicer_to_server(NothingToSay(), server)
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    served = {
        "Protocol": "grpc",
        "ProtocolVersion": 6,
        "Pid": os.getpid(),
        "Test": True,
        "Addr": {"Network": "unix", "String": socket},
    }
    print(json.dumps({"hashicorp/aws": served}), flush=True)
    sys.stdin.read()
    server.stop(grace=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
